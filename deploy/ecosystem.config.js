// PM2: `pm2 start deploy/ecosystem.config.js` serves what .env and opencode.json say, and with GATEWAY_ENV_FILE set
// before it, a set-up like deploy/gpt-oss/env. deploy/README.md says more.

const path = require("path");

module.exports = {
  apps: [
    {
      name: "opencode-gateway",
      cwd: path.resolve(__dirname, ".."),
      script: "run.sh",
      interpreter: "bash",
      exec_mode: "fork", // one process; GATEWAY_WORKERS and GATEWAY_THREADS say how much it does at once
      kill_timeout: 40000, // ms: answers may finish (GATEWAY_DRAIN_TIMEOUT is 30 seconds)
      stop_exit_codes: [2], // the settings are wrong; another start would not help
      restart_delay: 2000, // ms
    },
  ],
};
