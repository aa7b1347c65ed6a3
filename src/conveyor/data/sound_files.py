"""Which files are taken for sound."""

# Their endings; what they hold is read by libsndfile.
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".au")
