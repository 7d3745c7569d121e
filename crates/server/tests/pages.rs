//! The pages for operators do what they say: every command of their blocks is run by a shell, in the order of the page, with processes for
//! nodes, and does what stands beside it.
#![allow(missing_docs, clippy::unwrap_used)]

mod blocks;
mod cluster;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use blocks::{Block, Home, blocks, page};
use cluster::{Cluster, DEADLINE, free_port, wait_for};
use serde_json::Value;

const OPERATIONS: &str = "docs/operations.md";
const COMMAND_LINE: &str = "docs/cli.md";
const SECURITY: &str = "SECURITY.md";
const CONFIGURATION: &str = "docs/configuration.md";

/// What pages write, and what is run in its place: each line sees what those above it have made. Every machine is an address of this one,
/// and `~` is the directory of the test, in which paths without a root begin too.
const STANDS_FOR: [(&str, &str); 21] = [
    ("HOST:PORT", "n1:8080"),
    ("kubectl exec precede-0 -- /precede", "precede"),
    ("precede-4.precede", "n7"),
    ("precede-5.precede", "n8"),
    ("dead:8080", "n3:8080"),
    ("new:8080", "n4:8080"),
    // A node listens on its own address only, where others are on the same machine.
    ("PORT=8080", "PORT=8080 BIND=n1"),
    ("0.0.0.0", "10.0.0.1"),
    ("10.0.0.", "127.0.1."),
    ("n1", "127.0.0.1"),
    ("n2", "127.0.0.2"),
    ("n3", "127.0.0.3"),
    ("n4", "127.0.0.4"),
    ("n5", "127.0.0.5"),
    ("n6", "127.0.0.6"),
    ("n7", "127.0.0.7"),
    ("n8", "127.0.0.8"),
    ("8080/…", "8080/kv-store/keys/k"),
    ("8080", "{port}"),
    // As short as can be.
    ("--seconds 5", "--seconds 1"),
    ("/etc/precede", "{home}/etc/precede"),
];

/// Commands that are not run here, by what they begin with: why.
const ELSEWHERE: [(&str, &str); 3] = [
    ("docker compose ", "it builds an image, as `scripts/image` does; nodes in containers: `scripts/hosts`"),
    ("kubectl apply ", "there is no Kubernetes: `scripts/manifests` checks what it is given"),
    ("kubectl scale ", "there is no Kubernetes"),
];

/// What is seen when a command has ended well, or a node is ready: it is given the line of the page, and what was printed.
type Seen = fn(&mut Stage, &str, &str);

/// The commands, by what they begin with. A line belongs to the first that it begins with.
const COMMANDS: [(&str, Seen); 29] = [
    ("precede health --node ", health),
    ("precede health --alive ", alive),
    ("precede status --node HOST:PORT ", status),
    ("precede view --node ", view),
    ("ADDRESS=n1 PORT=8080 VIEW=", four_nodes),
    ("precede token new ", token),
    ("TOKENS_FILE=", asks_for_tokens),
    ("PRECEDE_TOKEN_FILE=", taken_in),
    ("precede view plan --add ", planned),
    ("precede view change --add ", taken_in),
    ("kubectl exec ", taken_in),
    ("precede view change --remove n5:8080,n6:8080 ", left_out),
    ("precede view change --remove dead:8080 --add new:8080", replaced),
    ("precede view ", now_stop_them),
    ("precede man view change ", manual_page),
    ("precede man --dir ", manual_pages),
    ("mkdir ", nothing),
    ("precede completions bash ", completions),
    ("precede status --node n1:8080 --ca-file ", both_are_ready),
    ("precede bench ", figures),
    ("(umask 077 && precede secret ", secret),
    ("PEER_SECRET_FILE=", seals),
    ("precede cert ca ", authority),
    ("precede cert node ", certificate),
    ("ADDRESS=n1 PORT=8080 TLS_CERT_FILE=", has_a_key),
    ("precede get ", by_tls),
    ("precede config check ", checked),
    ("precede config show ", shown),
    ("precede serve --config ", nothing),
];

/// The other nodes of a view, which are started as the line of the page says too, each told its own name.
const OTHERS: [(&str, &[&str]); 2] =
    [("ADDRESS=n1 PORT=8080 VIEW=", &["n2", "n3", "n4"]), ("precede serve --config ", &["10.0.0.2"])];

/// What makes a section of a page possible.
type Prepare = fn(&mut Stage);

/// What stands ready where a section of a page begins.
const SCENES: [(&str, &str, Prepare); 5] = [
    (OPERATIONS, "Operations", |stage| stage.start(["n1", "n2", "n3", "n4"], &["n5"])),
    (OPERATIONS, "Growing", |stage| stage.start(["n1", "n2"], &["n5", "n6", "n7", "n8"])),
    (OPERATIONS, "Shrinking", |stage| stage.start(["n1", "n2", "n5", "n6"], &[])),
    (OPERATIONS, "Replacing a dead node", one_is_dead),
    (COMMAND_LINE, "Which nodes, and how", secured),
];

/// One section of a page: its directory, the port of all its nodes, and those that run.
struct Stage {
    home: Home,
    port: u16,
    cluster: Cluster,
    running: Vec<usize>,
}

impl Stage {
    fn new(page: &str) -> Self {
        let home = Home::new(&page.replace('/', "-"));
        fs::create_dir_all(home.path().join("etc/precede")).unwrap();
        Self { home, port: free_port(), cluster: Cluster::default(), running: Vec::new() }
    }

    /// What is run, or written, in place of what a page says.
    fn stand_in(&self, text: &str) -> String {
        let text = STANDS_FOR.iter().fold(text.to_owned(), |text, (said, meant)| replace_words(&text, said, meant));
        text.replace("{port}", &self.port.to_string()).replace("{home}", self.home.path().to_str().unwrap())
    }

    /// The file that a page names so.
    fn file(&self, name: &str) -> PathBuf {
        let name = name.replacen('~', ".", 1);
        self.home.path().join(self.stand_in(&name))
    }

    /// A line, as a shell runs it.
    fn shell(&self, line: &str) -> Command {
        self.given(Command::new("sh"), line)
    }

    /// The same, which is ended if it does not end by itself.
    fn bounded(&self, line: &str) -> Command {
        let mut timeout = Command::new("timeout");
        timeout.args([&DEADLINE.as_secs().to_string(), "sh"]);
        self.given(timeout, line)
    }

    /// A shell that is given a line, without the settings of the environment that the test runs in.
    fn given(&self, mut shell: Command, line: &str) -> Command {
        for variable in precede::fuzzing::environment() {
            shell.env_remove(variable);
        }
        shell.args(["-euc", &self.stand_in(line)]).env("HOME", self.home.path());
        self.home.prepare(&mut shell);
        shell
    }

    fn output(&self, line: &str) -> Output {
        self.bounded(line).output().unwrap()
    }

    /// Runs a line that ends with this code. All that it has printed.
    fn ends_with(&self, code: i32, line: &str) -> String {
        let output = self.output(line);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {text}");
        text
    }

    /// Runs a line that ends well. What it has printed for programs.
    fn run(&self, line: &str) -> String {
        self.home.run(self.bounded(line), line)
    }

    /// Starts a node, by a line that says `precede serve`.
    fn serve(&mut self, line: &str, host: &str) -> usize {
        let (address, command) = (self.stand_in(&format!("{host}:8080")), self.shell(&format!("exec env {line}")));
        let node = self.cluster.add_by(&address, command);
        self.running.push(node);
        node
    }

    /// Waits until nodes say that they are ready, where a shell has these settings.
    fn wait_ready(&self, settings: &str, nodes: &[usize]) {
        for node in nodes {
            let health = format!("{settings}precede health --node {}", self.cluster.address(*node));
            wait_for("the node is ready", || self.output(&health).status.success().then_some(()));
        }
    }

    /// Starts members of a view, and spares.
    fn start<const MEMBERS: usize>(&mut self, members: [&str; MEMBERS], spares: &[&str]) {
        let told = format!("--view {} --repl-factor 2", members.map(|host| format!("{host}:8080")).join(","));
        let members: Vec<usize> = members.iter().map(|host| self.serve_at(host, &told)).collect();
        self.wait_ready("", &members);
        let spares: Vec<usize> = spares.iter().map(|host| self.serve_at(host, &told)).collect();
        self.cluster.wait_spares(&spares);
    }

    /// Starts the node of a host, which is told this.
    fn serve_at(&mut self, host: &str, told: &str) -> usize {
        self.serve(&format!("precede serve --address {host}:8080 --bind {host} {told}"), host)
    }

    /// The running node of a host.
    fn node(&self, host: &str) -> usize {
        let address = self.stand_in(&format!("{host}:8080"));
        *self.running.iter().find(|node| self.cluster.address(**node) == address).unwrap()
    }

    /// Kills a node.
    fn kill(&mut self, node: usize) {
        self.cluster.kill(node);
        self.running.retain(|running| *running != node);
    }

    /// Asks nodes to end, which they do well.
    fn end(&mut self, nodes: &[usize]) {
        nodes.iter().for_each(|node| self.cluster.ask_to_end(*node));
        for node in nodes {
            let status = self.cluster.nodes[*node].wait();
            assert_eq!(status.code(), Some(0), "{}", self.cluster.log(*node));
        }
        self.running.retain(|running| !nodes.contains(running));
    }

    /// Does what a block says.
    fn play(&mut self, block: &Block) {
        match block.language.as_str() {
            "sh" => block.text.lines().for_each(|line| self.play_line(line)),
            "toml" => {
                let name =
                    block.text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("it names its file");
                fs::write(self.file(name), self.stand_in(&block.text)).unwrap();
            }
            other => panic!("a block of {other}: say how it is run"),
        }
    }

    fn play_line(&mut self, line: &str) {
        if ELSEWHERE.iter().any(|(begin, _)| line.starts_with(begin)) {
            return;
        }
        let (_, seen) =
            entry(line).unwrap_or_else(|| panic!("{line}: say in COMMANDS what is seen, or why in ELSEWHERE"));
        let typed = typed(line);
        let printed = match typed.split_once("precede serve") {
            Some((settings, _)) => {
                self.serve_and_others(line, &typed, settings);
                String::new()
            }
            None => self.run(&typed),
        };
        seen(self, line, &printed);
    }

    /// Starts the node of a line, and the others of its view, and waits until they are ready.
    fn serve_and_others(&mut self, line: &str, typed: &str, settings: &str) {
        self.assert_counts(settings);
        let mut nodes = vec![self.serve(typed, "n1")];
        for host in OTHERS.iter().filter(|(begin, _)| line.starts_with(begin)).flat_map(|(_, hosts)| *hosts) {
            nodes.push(self.serve(&format!("{typed} --address {host}:8080 --bind {host}"), host));
        }
        self.wait_ready(settings, &nodes);
    }

    /// Every variable that a line sets is a setting of a node.
    fn assert_counts(&self, settings: &str) {
        let shown = self.run(&format!("{settings}precede config show"));
        for (variable, _) in settings.split_whitespace().filter_map(|word| word.split_once('=')) {
            assert!(shown.lines().any(|line| line.ends_with(&format!(" {variable}"))), "{variable}: {shown}");
        }
    }
}

/// What is seen of a line of a page.
fn entry(line: &str) -> Option<&'static (&'static str, Seen)> {
    COMMANDS.iter().find(|(begin, _)| line.starts_with(begin))
}

/// The command of a line, with the port of the test where it says nothing of one.
fn typed(line: &str) -> String {
    let command = line.split('#').next().unwrap().trim_end();
    let says = |word| command.contains(word);
    let more = if says("precede serve") && !says("PORT=") && !says("--config") {
        " --port 8080"
    } else if says("precede view") && !says("--node") {
        " --node n1:8080"
    } else {
        ""
    };
    format!("{command}{more}")
}

/// The same text with these words replaced; a word does not begin in the middle of another.
fn replace_words(text: &str, said: &str, meant: &str) -> String {
    let mut parts = text.split(said);
    let mut replaced = parts.next().unwrap().to_owned();
    for part in parts {
        let inside = replaced.ends_with(char::is_alphanumeric);
        replaced += if inside { said } else { meant };
        replaced += part;
    }
    replaced
}

fn nothing(_: &mut Stage, _: &str, _: &str) {}

/// 0: the member is well; 1: the spare is not ready, and says why; 3: nobody is there.
fn health(stage: &mut Stage, line: &str, printed: &str) {
    assert!(printed.contains("Ready"), "{printed}");
    let told = stage.ends_with(1, &line.replace("HOST:PORT", "n5:8080"));
    assert!(told.contains("reasons"), "{told}");
    stage.ends_with(3, &line.replace("HOST:PORT", "n6:8080"));
}

/// The spare answers too.
fn alive(stage: &mut Stage, line: &str, _: &str) {
    stage.run(&line.replace("HOST:PORT", "n5:8080"));
    stage.ends_with(3, &line.replace("HOST:PORT", "n6:8080"));
}

/// All are ready, until one is dead; and it is looked again.
fn status(stage: &mut Stage, line: &str, printed: &str) {
    let node = stage.node("n4");
    let address = stage.cluster.address(node).to_owned();
    assert!(printed.contains(&address), "{printed}");
    watched(stage, line);
    stage.kill(node);
    wait_for("the death is told", || (stage.output(line).status.code() == Some(1)).then_some(()));
    stage.cluster.restart(node);
    stage.running.push(node);
    stage.wait_ready("", &[node]);
}

/// The same line with `--watch` tells of every member a second time.
fn watched(stage: &Stage, line: &str) {
    let told = stage.home.path().join("watched");
    let mut shell = stage.shell(&format!("exec {} --watch", typed(line)));
    let _watch = Watch(shell.stdout(File::create(&told).unwrap()).stderr(Stdio::null()).spawn().unwrap());
    let member = stage.stand_in("n4:8080");
    wait_for("it looks again", || (fs::read_to_string(&told).unwrap().matches(&member).count() >= 2).then_some(()));
}

/// A process that ends with the test.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every member holds a shard, and everything has moved.
fn view(stage: &mut Stage, _: &str, printed: &str) {
    assert!(printed.contains("settled"), "{printed}");
    assert!(["n1", "n2", "n3", "n4"].iter().all(|host| names(stage, printed, host)), "{printed}");
}

fn four_nodes(stage: &mut Stage, _: &str, _: &str) {
    let told = stage.run("precede view --node n3:8080");
    view(stage, "", &told);
    assert!(told.contains("2 replicas per shard"), "{told}");
}

/// Whether a host stands in what was printed.
fn names(stage: &Stage, printed: &str, host: &str) -> bool {
    printed.contains(&stage.stand_in(&format!("{host}:8080")))
}

/// The secret and the line are printed, and go where the pages say.
fn token(stage: &mut Stage, line: &str, printed: &str) {
    let after = |text: &str, begin: &str| {
        let rest = text.split_once(begin).unwrap_or_else(|| panic!("{begin} in {text}")).1;
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let (secret, told) = (after(printed, "token: "), after(printed, "line: "));
    let (role, name) = (after(line, "--role "), after(line, "--name "));
    assert!(told.starts_with(&format!("{role}:")) && told.ends_with(&format!(":{name}")), "{told}");
    assert!(!told.contains(&secret), "{told}");
    fs::write(stage.file("~/.precede-token"), secret).unwrap();
    fs::write(stage.file("/etc/precede/tokens"), told).unwrap();
}

/// Who shows no token is refused. A spare with the same file stands ready.
fn asks_for_tokens(stage: &mut Stage, _: &str, _: &str) {
    let told = stage.ends_with(2, "precede get k --node n1:8080");
    assert!(told.contains("A token is needed"), "{told}");
    stage.serve_at("n5", "--view n1:8080 --tokens-file /etc/precede/tokens");
}

/// The view has whom it was to take in, and everything has moved.
fn taken_in(stage: &mut Stage, line: &str, printed: &str) {
    let added = line.split_once("--add ").unwrap().1.split_whitespace().next().unwrap();
    assert!(printed.contains("settled"), "{printed}");
    assert!(added.split(',').all(|address| printed.contains(&stage.stand_in(address))), "{printed}");
}

/// It is told who gets keys of whom, and nothing has changed.
fn planned(stage: &mut Stage, _: &str, printed: &str) {
    let moves = printed.split_once("from").unwrap().1;
    assert!(names(stage, moves, "n5") && names(stage, moves, "n6"), "{printed}");
    let view = stage.run("precede view --node n1:8080");
    assert!(!names(stage, &view, "n5") && !names(stage, &view, "n6"), "{view}");
}

fn left_out(stage: &mut Stage, _: &str, printed: &str) {
    assert!(printed.contains("settled"), "{printed}");
    assert!(!names(stage, printed, "n5") && !names(stage, printed, "n6"), "{printed}");
}

/// Who was left out can be stopped.
fn now_stop_them(stage: &mut Stage, line: &str, printed: &str) {
    left_out(stage, line, printed);
    stage.end(&["n5", "n6"].map(|host| stage.node(host)));
    let told = stage.run("precede view --node n1:8080");
    assert!(names(stage, &told, "n1") && names(stage, &told, "n2"), "{told}");
}

fn one_is_dead(stage: &mut Stage) {
    stage.start(["n1", "n2", "n3"], &["n4"]);
    stage.kill(stage.node("n3"));
}

fn replaced(stage: &mut Stage, line: &str, printed: &str) {
    taken_in(stage, line, printed);
    assert!(!printed.contains(&stage.stand_in("dead:8080")), "{printed}");
}

fn manual_page(_: &mut Stage, _: &str, printed: &str) {
    assert!(printed.contains(".TH precede-view-change 1"), "{printed}");
}

/// They are where man(1) looks.
fn manual_pages(stage: &mut Stage, _: &str, _: &str) {
    for name in ["precede.1", "precede-serve.1", "precede-view-change.1"] {
        assert!(stage.file("~/.local/share/man/man1").join(name).exists(), "{name}");
    }
}

/// They are where a shell looks, and it takes them.
fn completions(stage: &mut Stage, line: &str, _: &str) {
    let file = stage.file("~/.local/share/bash-completion/completions/precede");
    let mut bash = Command::new("bash");
    bash.args(["-euc", "source \"$0\"; complete -p precede"]).arg(file);
    stage.home.run(bash, line);
}

/// Two nodes that speak TLS and ask for tokens, with the files that clients need.
fn secured(stage: &mut Stage) {
    stage.run("precede cert ca --dir certs");
    stage.run("precede cert node n1 --dir certs");
    stage.run("precede cert node n2 --dir certs");
    let line = "precede token new --role admin --name ops";
    let printed = stage.run(line);
    token(stage, line, &printed);
    fs::rename(stage.file("~/.precede-token"), stage.file("token")).unwrap();
    let mut nodes = Vec::new();
    for host in ["n1", "n2"] {
        let tls =
            format!("--tls-cert-file certs/{host}.pem --tls-key-file certs/{host}-key.pem --tls-ca-file certs/ca.pem");
        let told = format!("--view n1:8080,n2:8080 --repl-factor 2 {tls} --tokens-file /etc/precede/tokens");
        nodes.push(stage.serve_at(host, &told));
    }
    stage.wait_ready("PRECEDE_CA_FILE=certs/ca.pem ", &nodes);
}

fn both_are_ready(stage: &mut Stage, _: &str, printed: &str) {
    assert!(names(stage, printed, "n1") && names(stage, printed, "n2"), "{printed}");
}

fn figures(_: &mut Stage, _: &str, printed: &str) {
    assert!(printed.contains("by TLS") && printed.contains(" 0 errors, 0 not found"), "{printed}");
}

/// 256 bits, readable by nobody else.
fn secret(stage: &mut Stage, _: &str, _: &str) {
    let file = stage.file("/etc/precede/secret");
    let text = fs::read_to_string(&file).unwrap();
    let digits = text.trim_end();
    assert!(digits.len() == 64 && digits.chars().all(|digit| digit.is_ascii_hexdigit()), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

/// What a node with a secret issues ends in its seal.
fn seals(stage: &mut Stage, _: &str, _: &str) {
    let response = stage.cluster.request(stage.node("n1"), "PUT", "/kv-store/keys/k", r#"{"value": 1}"#);
    let seal = response.context().rsplit_once('.').map(|(_, seal)| seal.len());
    assert_eq!(seal, Some(16), "{response:?}");
}

fn authority(stage: &mut Stage, _: &str, _: &str) {
    assert!(["certs/ca.pem", "certs/ca-key.pem"].iter().all(|name| stage.file(name).exists()));
}

fn certificate(stage: &mut Stage, _: &str, _: &str) {
    assert!(["certs/n1.pem", "certs/n1-key.pem"].iter().all(|name| stage.file(name).exists()));
}

/// The certificate is good for both names. There is something to read.
fn has_a_key(stage: &mut Stage, _: &str, _: &str) {
    stage.run("precede health --node n1:8080 --ca-file certs/ca.pem --certified 10.0.0.1");
    stage.run("precede put k 1 --node n1:8080 --ca-file certs/ca.pem");
}

/// The value, and the same by the other ways that stand beside the command.
fn by_tls(stage: &mut Stage, line: &str, printed: &str) {
    assert_eq!(printed, "1\n");
    assert_eq!(stage.run("PRECEDE_CA_FILE=certs/ca.pem precede get k --node n1:8080"), "1\n");
    let told = stage.run(&format!("{} --silent --show-error --fail", line.split_once("; ").unwrap().1));
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["value"], 1, "{told}");
}

/// The file of the page is good; of one that is not all is told that is wrong with it.
fn checked(stage: &mut Stage, line: &str, printed: &str) {
    let name = line.split_whitespace().nth(3).unwrap();
    let file = stage.file(name);
    assert_eq!(printed, format!("{}: the settings are good\n", file.display()));
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{good}max_kye_bytes = 5\nmax_key_bytes = 0\n")).unwrap();
    let told = stage.ends_with(2, line);
    let lines = good.lines().count();
    for (at, remedy) in [(lines + 1, "write max_key_bytes"), (lines + 2, "a number from 1 to 60000")] {
        let place = format!("{}:{at}: ", file.display());
        assert!(told.lines().any(|line| line.contains(&place) && line.contains(remedy)), "{told}");
    }
    fs::write(&file, good).unwrap();
}

/// Every setting of the page's table, and of those in its file the line.
fn shown(stage: &mut Stage, line: &str, printed: &str) {
    let page = page(CONFIGURATION);
    let settings: Vec<&str> = page.lines().filter(|line| line.starts_with("| `--")).collect();
    assert_eq!(printed.lines().count(), settings.len(), "{printed}");
    let file = stage.file(line.split_whitespace().nth(4).unwrap());
    let text = fs::read_to_string(&file).unwrap();
    for (at, setting) in text.lines().enumerate().skip(1) {
        let name = setting.split(' ').next().unwrap();
        let place = format!("{}:{}", file.display(), at + 1);
        let told = printed.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
        assert!(told.ends_with(&place), "{told}");
    }
}

fn does_what_it_says(name: &str) {
    let blocks = blocks(&page(name));
    for section in blocks.chunk_by(|one, next| one.section == next.section) {
        let mut stage = Stage::new(name);
        let scene = SCENES.iter().find(|(page, heading, _)| (*page, *heading) == (name, &section[0].section));
        if let Some((_, _, prepare)) = scene {
            prepare(&mut stage);
        }
        section.iter().for_each(|block| stage.play(block));
        stage.end(&stage.running.clone());
    }
}

#[test]
fn operations_does_what_it_says() {
    does_what_it_says(OPERATIONS);
}

#[test]
fn the_command_line_does_what_it_says() {
    does_what_it_says(COMMAND_LINE);
}

#[test]
fn security_does_what_it_says() {
    does_what_it_says(SECURITY);
}

#[test]
fn configuration_does_what_it_says() {
    does_what_it_says(CONFIGURATION);
}

#[test]
fn the_tables_are_of_these_pages() {
    let pages = [OPERATIONS, COMMAND_LINE, SECURITY, CONFIGURATION].map(|name| (name, page(name)));
    let blocks = || pages.iter().flat_map(|(name, page)| blocks(page).into_iter().map(move |block| (*name, block)));
    let lines: Vec<String> =
        blocks().flat_map(|(_, block)| block.text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    for (begin, why) in ELSEWHERE {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "no page says {begin}({why})");
    }
    for (begin, _) in COMMANDS {
        let is_used = |line: &String| entry(line).is_some_and(|(of, _)| *of == begin);
        assert!(lines.iter().any(is_used), "no page says {begin}");
    }
    for (begin, _) in OTHERS {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "no page says {begin}");
    }
    for (page, heading, _) in SCENES {
        assert!(blocks().any(|(name, block)| (name, &*block.section) == (page, heading)), "{page} has no {heading}");
    }
    for (said, _) in STANDS_FOR {
        let is_said = pages.iter().any(|(_, page)| page.contains(said));
        assert!(is_said || STANDS_FOR.iter().any(|(_, meant)| meant.contains(said)), "no page says {said}");
    }
}
