// Stops Ganache cleanly when whoever started it is gone, however it went: its end of the pipe closes.
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM"));
process.stdin.resume();
process.stdin.unref(); // or the pipe alone would keep a stopped Ganache running
