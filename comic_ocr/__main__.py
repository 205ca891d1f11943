"""`python -m comic_ocr` is the command `batch_ocr`."""

from comic_ocr.cli import main

if __name__ == "__main__":
    main()
