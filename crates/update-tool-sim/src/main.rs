//! The stand-in for the vendor's update tool; see [`update_tool_sim::tool`].

use std::process::ExitCode;

fn main() -> ExitCode {
    update_tool_sim::tool::main()
}
