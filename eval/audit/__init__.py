"""Audit of rows: what is there twice, what training and exam share, whose data it holds, in what state it is."""
