//! What is up: published states with an expiry, so that a dead publisher reads as down.
