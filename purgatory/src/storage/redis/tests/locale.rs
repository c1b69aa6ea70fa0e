//! Texts are in another order where the server runs than here.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use super::bumping::{add, circuit, failures};
use super::server::{Server, program};
use super::watched::{Watched, patient, run};

/// A locale with the order of characters turned round. Those that have letters before digits, such as the Czech one,
/// need not be installed.
fn backwards(folder: &Path) {
    let (mut characters, mut order) = (String::new(), String::new());
    for code in 0..128 {
        let _ = writeln!(characters, "<U{code:04X}> /x{code:02x}");
        let _ = writeln!(order, "<U{:04X}>", 127 - code);
    }
    let characters = format!(
        "<code_set_name> SEVEN\n<comment_char> %\n<escape_char> /\n<mb_cur_min> 1\n<mb_cur_max> 1\nCHARMAP\n{characters}END CHARMAP\n"
    );
    let order = format!(
        "comment_char %\nescape_char /\nLC_COLLATE\norder_start forward\n{order}order_end\nEND LC_COLLATE\n"
    );
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("characters"), characters).unwrap();
    std::fs::write(folder.join("order"), order).unwrap();
    let mut compiler = Command::new(program("localedef"));
    compiler.current_dir(folder).args(["--no-archive", "--force"]);
    // It warns of all that is not in there.
    compiler.args(["-f", "./characters", "-i", "./order", "./backwards"]).output().unwrap();
    assert!(folder.join("backwards/LC_COLLATE").exists(), "it is not compiled");
}

#[test]
fn the_order_of_texts_on_the_server_does_not_matter() {
    let folder = std::env::temp_dir().join(format!("purgatory-{}-locale", std::process::id()));
    backwards(&folder);
    let place = folder.to_str().unwrap();
    let server = Server::within(&[("LOCPATH", place), ("LC_ALL", "backwards")]);
    assert!(server.ask::<bool>("EVAL return('a'<'9') 0"), "the server has another locale");
    run(async {
        let storage = Watched::ready(patient(server.url()).build().unwrap()).await;
        let sequences = [0x9, 0xa, 0x9_ffff_ffff, 0xa_0000_0000];
        for (earlier, &sequence) in sequences.iter().enumerate() {
            let added = add(&storage, &failures(1, sequence, 1)).await.unwrap();
            assert_eq!(circuit(added.clone()).failures() as usize, earlier + 1, "{sequence:x}");
            for &sequence in &sequences[..=earlier] {
                let again = add(&storage, &failures(1, sequence, 1)).await.unwrap();
                assert_eq!(again.record, added.record, "{sequence:x}");
            }
        }
    });
    let _ = std::fs::remove_dir_all(folder);
}
