//! `parapet-lab demo`.
pub(crate) fn run(_edges: crate::subject::Subject) -> anyhow::Result<()> {
    Ok(())
}
