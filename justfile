# What people and CI run.

# The whole pipeline on a sample pack and three sample hotfixes
demo:
    cargo run -p quickstart

# Everything that CI checks
check: fmt clippy doc deny test

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets --locked -- --deny warnings

test:
    cargo test --workspace --locked

# The long form of what CI does in short: `apply` killed at 300 moments, and with each of its system calls failing (an hour)
torture:
    HOTFIX_TORTURE=300 cargo test --release --locked -p hotfix-pipeline --test cli -- killed::
    HOTFIX_TORTURE=300 cargo test --release --locked -p hotfix-pipeline --test cli -- faults::

# API documentation, in target/doc
doc:
    RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --document-private-items --locked

# Figures of docs/benchmarks.md: measured, printed and written; `just bench --help` says how to measure a part of them
bench *arguments:
    cargo run --release --locked -p hotfix-bench --bin bench -- {{ arguments }}

# The programs that `just bench` compares with (Debian packages, as root; ripunzip from crates.io)
bench-rivals:
    bash ci/bench-services

# Licences, bans and sources of dependencies
deny:
    cargo deny --locked check bans licenses sources
