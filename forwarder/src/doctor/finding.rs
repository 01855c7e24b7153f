//! One conclusion of the doctor, and how it is put together.
//!
//! The fields are the JSON of `forwarder doctor --json` (`docs/doctor.md`).

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It works, slower or less well than it could.
    Warning,
    /// Packets are not forwarded, or not by the fast path.
    Problem,
}

impl Level {
    /// As shown to people and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Problem => "problem",
        }
    }
}

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// What the kernel can do.
    Kernel,
    /// Room in memory and in tables.
    Limits,
    /// Whether and how the kernel forwards.
    Forwarding,
    /// One interface.
    Interface,
}

impl Group {
    /// As shown to people and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Kernel => "kernel",
            Group::Limits => "limits",
            Group::Forwarding => "forwarding",
            Group::Interface => "interface",
        }
    }
}

/// One conclusion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is about.
    pub group: Group,
    /// Which interface, in [`Group::Interface`].
    pub interface: Option<String>,
    /// What was looked at: a word that does not change.
    pub check: &'static str,
    /// What was found.
    pub found: String,
    /// What it means for forwarding; `None` where all is well.
    pub meaning: Option<String>,
    /// The commands that mend it, in their order; none where no command can.
    pub commands: Vec<String>,
}

impl Finding {
    /// With a command that mends it, below those it has.
    #[must_use]
    pub fn mend(mut self, command: impl Into<String>) -> Finding {
        self.commands.push(command.into());
        self
    }
}

/// A check that is being made: makes findings.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    group: Group,
    interface: Option<&'a str>,
    name: &'static str,
}

impl<'a> Check<'a> {
    /// A check of the machine.
    pub const fn new(group: Group, name: &'static str) -> Check<'static> {
        Check {
            group,
            interface: None,
            name,
        }
    }

    /// A check of an interface.
    pub const fn on(interface: &'a str, name: &'static str) -> Check<'a> {
        Check {
            group: Group::Interface,
            interface: Some(interface),
            name,
        }
    }

    /// All is well.
    pub fn ok(self, found: impl Into<String>) -> Finding {
        self.finding(Level::Ok, found.into(), None)
    }

    /// Worth knowing.
    pub fn note(self, found: impl Into<String>, meaning: impl Into<String>) -> Finding {
        self.at(Level::Note, found, meaning)
    }

    /// It could be better.
    pub fn warning(self, found: impl Into<String>, meaning: impl Into<String>) -> Finding {
        self.at(Level::Warning, found, meaning)
    }

    /// It does not work.
    pub fn problem(self, found: impl Into<String>, meaning: impl Into<String>) -> Finding {
        self.at(Level::Problem, found, meaning)
    }

    /// At a level that depends.
    pub fn at(self, level: Level, found: impl Into<String>, meaning: impl Into<String>) -> Finding {
        self.finding(level, found.into(), Some(meaning.into()))
    }

    /// It could not be looked at.
    pub fn hidden(self, why: &str) -> Finding {
        let found = format!("could not be looked at: {why}");
        self.finding(Level::Note, found, None)
    }

    fn finding(self, level: Level, found: String, meaning: Option<String>) -> Finding {
        Finding {
            level,
            group: self.group,
            interface: self.interface.map(str::to_owned),
            check: self.name,
            found,
            meaning,
            commands: Vec::new(),
        }
    }
}
