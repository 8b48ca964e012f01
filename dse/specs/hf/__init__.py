"""Reading Hugging Face configs: the reader, and one function per family of networks."""
