use crate::program::{Demo, alive};
use anyhow::Result;

#[tokio::test(flavor = "multi_thread")]
async fn the_script_plays_a_clean_conversation_and_leaves_no_process() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut demo = Demo::start(&dir.path().join("demo"), &["--script"])?;
    demo.line_with("everything runs").await?;
    let started = demo.descendants();
    let roles = started.iter().filter(|(_, name)| name == "ccm").count();
    assert_eq!(roles, 7, "every role is a process: {started:?}");
    let status = demo.end().await?;
    assert!(status.success(), "{status}\n{}", demo.printed);
    for part in [
        "every promise kept",
        "8 sent, 8 received",
        "← 1 < 2 & 3 #a-1-1",
        "[Agent] 1 &lt; 2 &amp; 3 #a-1-1",
        "healed by itself, the same chat",
        "sees a new chat",
    ] {
        assert!(demo.printed.contains(part), "no {part:?} in\n{}", demo.printed);
    }
    assert_eq!(alive(&started), []);
    Ok(())
}

/// An interrupt while Postgres or a role is just starting.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_while_starting_leaves_no_process() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut demo = Demo::start(&dir.path().join("demo"), &[])?;
    demo.line_with("starting admin").await?;
    let started = demo.descendants();
    assert!(!started.is_empty());
    demo.signal("INT").await?;
    let status = demo.end().await?;
    assert_eq!(status.code(), Some(130), "{}", demo.printed);
    assert_eq!(alive(&started), []);
    Ok(())
}
