"""One module a file format, each giving frames under the project's conventions."""
