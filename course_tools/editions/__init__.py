"""What is handed out and what comes back: editions of the notebooks, and the grading of answers."""
