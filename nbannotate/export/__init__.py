"""Data sets written with pictures made for them: resized, cropped, copied by an executor, far away.

`writing` is what every writer of a format goes through; `pictures` makes the pictures, `fitting`
has the labels follow them, `uploading` brings what is written to where fsspec reaches.
"""
