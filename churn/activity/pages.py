"""The pages of the log: the names that the service gives them."""

from typing import Final

SONG: Final = "NextSong"
CANCELLATION: Final = "Cancellation Confirmation"
KNOWN: Final = (
    SONG, "Home", "Thumbs Up", "Add to Playlist", "Add Friend", "Roll Advert", "Login", "Logout", "Thumbs Down",
    "Downgrade", "Settings", "Help", "About", "Upgrade", "Save Settings", "Error", "Submit Upgrade",
    "Submit Downgrade", "Cancel", CANCELLATION, "Register", "Submit Registration",
)  # fmt: skip
"""All pages of the public log, frequent ones first."""

PAGES: Final = {
    "songs": SONG,
    "thumbs_up": "Thumbs Up",
    "thumbs_down": "Thumbs Down",
    "playlist_adds": "Add to Playlist",
    "friends_added": "Add Friend",
    "adverts": "Roll Advert",
    "downgrade_visits": "Downgrade",
    "downgrade_submits": "Submit Downgrade",
    "settings_visits": "Settings",
    "help_visits": "Help",
    "errors": "Error",
}
"""Measures that count the visits of one page."""
