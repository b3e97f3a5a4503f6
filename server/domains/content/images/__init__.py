"""Images: thumbnails, blurhashes, and files without metadata.

For: every image that is uploaded as a file of a creation, an avatar or a thumbnail: what it shows
is checked, its metadata (EXIF, XMP, comments; where it was taken) removed, a thumbnail and a
blurhash made.

Promises: until that is done nobody but its owner can read the file; an image is decoded in a
process of its own, with bounds on pixels, memory and time; an image that cannot be processed
concerns only its own file, which says so; what is under way survives a crash of the node.

Must not know: how files are uploaded and served, what a creation is beyond its file.
"""
