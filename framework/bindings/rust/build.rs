// Where the linker finds libcoppice.so: in the folder COPPICE_LIB_DIR, else where pkg-config says, else where it always looks.
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=COPPICE_LIB_DIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    println!("cargo:rustc-link-lib=dylib=coppice");
    if let Some(folder) = env::var_os("COPPICE_LIB_DIR").filter(|folder| !folder.is_empty()) {
        let folder =
            fs::canonicalize(&folder).unwrap_or_else(|why| panic!("COPPICE_LIB_DIR, {folder:?}: {why}"));
        let folder = folder.to_str().expect("COPPICE_LIB_DIR is no UTF-8");
        if !Path::new(folder).join("libcoppice.so").exists() {
            panic!("COPPICE_LIB_DIR: there is no libcoppice.so in {folder}");
        }
        println!("cargo:rustc-link-search=native={folder}");
        // This package's tests and examples find it there when they run, too.
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
        return;
    }
    for folder in folders_of_pkg_config() {
        println!("cargo:rustc-link-search=native={folder}");
    }
}

/// None where pkg-config, or its file of the library, is not installed.
fn folders_of_pkg_config() -> Vec<String> {
    match Command::new("pkg-config").args(["--libs-only-L", "coppice-c"]).output() {
        Ok(told) if told.status.success() => {
            let told = String::from_utf8_lossy(&told.stdout).into_owned();
            told.split_whitespace().filter_map(|word| word.strip_prefix("-L")).map(String::from).collect()
        }
        _ => Vec::new(),
    }
}
