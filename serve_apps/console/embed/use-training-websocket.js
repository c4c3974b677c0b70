// A React hook for the live status of one job. Copy this file, or import it from the server:
//
//   import { createTrainingWebSocketHook } from "https://train.example/embed/use-training-websocket.js";
//   import * as React from "react";
//   const useTrainingWebSocket = createTrainingWebSocketHook(React);
//
//   const { status, connected } = useTrainingWebSocket(jobId, { server: "https://train.example", token });
//
// `status` is the newest `training_status` message (status, current_epoch, total_epochs, progress_percent, metrics,
// error_message, timestamp), null before the first. `connected` is true while updates arrive by themselves. It comes
// back by itself with growing pauses, and goes on after the last event that it has seen. `token` is a ticket
// (POST /api/v1/tickets): a key does not belong into an address. React is passed in, so that there is one React.

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
const SILENCE_MS = 12_000;
const FINAL = new Set(["completed", "failed", "cancelled"]);

export function createTrainingWebSocketHook({ useEffect, useState }) {
  return function useTrainingWebSocket(jobId, { server = globalThis.location?.origin, token = null } = {}) {
    const [status, setStatus] = useState(null);
    const [connected, setConnected] = useState(false);
    useEffect(() => {
      setStatus(null);
      if (!jobId) return undefined;
      return follow({ jobId, server, token, onStatus: setStatus, onConnected: setConnected });
    }, [jobId, server, token]);
    return { status, connected };
  };
}

/** Follow a job until it ends or the returned function is called. Knows no React. */
export function follow({ jobId, server, token, onStatus, onConnected }) {
  let socket = null;
  let timer = null;
  let alarm = null;
  let attempt = 0;
  let after = null; // the last event that was seen
  let over = false;

  const connect = () => {
    const url = new URL(`/ws/training/${encodeURIComponent(jobId)}`, server);
    url.protocol = url.protocol.replace("http", "ws");
    if (token) url.searchParams.set("ticket", token);
    if (after !== null) url.searchParams.set("after", String(after));
    socket = new WebSocket(url);
    const heard = () => {
      clearTimeout(alarm);
      alarm = setTimeout(() => socket.close(), SILENCE_MS);
    };
    heard();
    socket.onmessage = ({ data }) => {
      heard();
      const message = JSON.parse(data);
      if (message.event === "connected") {
        attempt = 0;
        onConnected(true);
      }
      if (typeof message.event_id === "number") after = message.event_id;
      if (message.event !== "training_status") return;
      onStatus(message);
      over ||= FINAL.has(message.status);
    };
    socket.onclose = () => {
      clearTimeout(alarm);
      onConnected(false);
      if (over) return;
      attempt += 1;
      const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
      timer = setTimeout(connect, full / 2 + (full / 2) * Math.random());
    };
  };

  connect();
  return () => {
    over = true;
    clearTimeout(timer);
    clearTimeout(alarm);
    onConnected(false);
    leave(socket);
  };
}

/** Close a socket that nobody listens to any more. One that is still opening is closed later, without a warning in the console. */
function leave(socket) {
  socket.onmessage = null;
  socket.onclose = null;
  if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
  else socket.close();
}
