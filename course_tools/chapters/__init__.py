"""From a notebook with code to a chapter with outputs: executed, measured again, checked."""
