//! Floods and flash crowds, through the whole chain.
