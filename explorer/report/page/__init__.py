"""What the front page's script reads, part by part: facts as plain values, no drawing."""
