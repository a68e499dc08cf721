//! The lanes that receive queries, and the line of steps that answers them.
