"""What texts are spelled of: letters, or words or syllables as they are between blanks."""

CHARACTERS, WORDS, SYLLABLES = "char", "word", "syllable"
UNITS = (CHARACTERS, WORDS, SYLLABLES)
