"""The word index: passages by their words (BM25), beside Chroma, which finds them by their meaning.

Everything in it is derived from what Chroma holds: it may be deleted at any time, and is made anew from there.
"""
