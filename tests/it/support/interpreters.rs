//! Code of receivers, run by the interpreters of its languages, as the packages of the system bring them.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

const HELP: &str = "these tests need the languages that receivers are written in, and verifiers that others wrote: `apt-get \
                    install nodejs php-cli ruby python3-cryptography python3-jwt python3-stripe`";

/// A language in which documents print code.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Language {
    JavaScript,
    Python,
    Php,
    Ruby,
}

pub(crate) const LANGUAGES: [Language; 4] =
    [Language::JavaScript, Language::Python, Language::Php, Language::Ruby];

impl Language {
    /// What stands behind the fence of a block of its code.
    pub(crate) fn fence(self) -> &'static str {
        match self {
            Self::JavaScript => "js",
            Self::Python => "python",
            Self::Php => "php",
            Self::Ruby => "ruby",
        }
    }

    /// What takes its code for the next argument.
    fn interpreter(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::JavaScript => ("node", &["-e"]),
            Self::Python => (python(), &["-c"]),
            Self::Php => ("php", &["-r"]),
            Self::Ruby => ("ruby", &["-EUTF-8", "-e"]),
        }
    }

    /// Has `verify` judge each of the requests on the standard input.
    fn court(self) -> &'static str {
        match self {
            Self::JavaScript => {
                "\nconst given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n\
                 console.log(JSON.stringify(given.map((g) => verify(g.headers, g.body, g.secret, g.now))));"
            }
            Self::Python => {
                "\nimport json, sys\n\
                 print(json.dumps([verify(g['headers'], g['body'].encode(), g['secret'], g['now'])\n\
                 \x20                 for g in json.loads(sys.stdin.buffer.read())]))"
            }
            Self::Php => {
                "\n$given = json_decode(stream_get_contents(STDIN), true);\n\
                 echo json_encode(array_map(fn ($g) => verify($g['headers'], $g['body'], $g['secret'], $g['now']), $given));"
            }
            Self::Ruby => {
                "\nrequire 'json'\ngiven = JSON.parse($stdin.read)\n\
                 puts JSON.generate(given.map { |g| verify(g['headers'], g['body'], g['secret'], g['now']) })"
            }
        }
    }

    /// What `verify` in this code says of each request, an object with `headers`, `body`, `secret` and `now`.
    ///
    /// # Panics
    /// Without the language, with a sentence that says how to get it; and when the code fails.
    pub(crate) fn verdicts(self, code: &str, requests: &[Value]) -> Vec<Value> {
        let (program, arguments) = self.interpreter();
        let mut child = Command::new(program)
            .args(arguments)
            .arg(code.to_owned() + self.court())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{HELP} ({program}: {e})"));
        let given = serde_json::to_vec(requests).unwrap();
        // Whoever ends before it has read everything says why below.
        let _ = child.stdin.take().unwrap().write_all(&given);
        let said = child.wait_with_output().unwrap();
        let [verdicts, complaint] =
            [said.stdout, said.stderr].map(|s| String::from_utf8_lossy(&s).into_owned());
        serde_json::from_str(&verdicts).unwrap_or_else(|_| panic!("{program}: {verdicts}{complaint}\n{code}"))
    }
}

/// Node, which runs this script for as long as its standard input is open.
///
/// # Panics
/// Without Node, with a sentence that says how to get it.
pub(crate) fn node(script: &str) -> std::process::Child {
    Command::new("node")
        .args(["-e", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{HELP} (node: {e})"))
}

/// The Python that has the libraries: another one may come first in the path, and knows nothing of the system's packages.
fn python() -> &'static str {
    static PYTHON: OnceLock<&str> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let has_libraries = |program: &&str| {
            let mut command = Command::new(program);
            let asked =
                command.args(["-c", "import cryptography, jwt, stripe"]).stderr(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        };
        ["python3", "/usr/bin/python3"].into_iter().find(has_libraries).unwrap_or_else(|| panic!("{HELP}"))
    })
}
