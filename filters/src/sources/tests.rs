//! Rules of the sources, each with what would break it.
