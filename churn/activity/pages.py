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
