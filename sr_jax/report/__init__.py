"""What a reader gets of a run: tables, figures, pages."""
