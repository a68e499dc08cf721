//! `parapet-lab up`: a topology to play in.
pub(crate) fn run(_name: &str) -> anyhow::Result<()> {
    Ok(())
}
