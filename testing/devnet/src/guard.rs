//! Nothing is left behind, however this process ends.
//!
//! Children cannot ask the system to be killed with their parent without unsafe code. So a shell waits at the other end
//! of a pipe: when this process is gone, whatever the reason, the pipe closes, and the shell kills what is left.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
groups= directory=
while read -r what value; do
    case $what in
        started) groups="$groups $value" ;;
        ended)
            left=
            for group in $groups; do [ "$group" = "$value" ] || left="$left $group"; done
            groups=$left ;;
        remove) directory=$value ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
[ -z "$directory" ] || rm -rf -- "$directory"
"#;

/// The shell. Dropping this makes it do its work and waits for that.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
}

impl Guard {
    pub(crate) fn start() -> io::Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal is for this process.
            .process_group(0)
            .spawn()?;
        Ok(Self { shell })
    }

    /// A process group has to be killed at the end.
    pub(crate) fn started(&mut self, group: u32) {
        self.tell(&format!("started {group}\n"));
    }

    /// It has ended; its number may become somebody else's.
    pub(crate) fn ended(&mut self, group: u32) {
        self.tell(&format!("ended {group}\n"));
    }

    /// A directory has to be removed at the end.
    pub(crate) fn remove(&mut self, directory: &Path) {
        self.tell(&format!("remove {}\n", directory.display()));
    }

    /// Nothing has to be removed.
    pub(crate) fn keep(&mut self) {
        self.tell("remove\n");
    }

    fn tell(&mut self, line: &str) {
        if let Some(stdin) = &mut self.shell.stdin
            && let Err(error) = stdin.write_all(line.as_bytes())
        {
            tracing::warn!(%error, "The shell that cleans up after this process is gone");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Only reaps it.
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").process_group(0).spawn().unwrap()
    }

    #[test]
    fn what_is_left_is_killed_and_what_has_ended_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = dir.path().join("two words");
        std::fs::create_dir(&scratch).unwrap();
        let (mut left, mut ended) = (sleeper(), sleeper());
        let mut guard = Guard::start().unwrap();
        guard.started(left.id());
        guard.started(ended.id());
        guard.ended(ended.id());
        guard.remove(&scratch);
        drop(guard);
        assert!(!left.wait().unwrap().success());
        assert!(ended.try_wait().unwrap().is_none(), "it still runs");
        assert!(!scratch.exists());
        ended.kill().unwrap();
        ended.wait().unwrap();
    }

    #[test]
    fn a_directory_can_be_kept_after_all() {
        let dir = tempfile::tempdir().unwrap();
        let mut guard = Guard::start().unwrap();
        guard.remove(dir.path());
        guard.keep();
        drop(guard);
        assert!(dir.path().exists());
    }
}
