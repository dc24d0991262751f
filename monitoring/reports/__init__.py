"""Where weekly reports lie and what their summaries say."""
