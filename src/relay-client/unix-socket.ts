/** The prefix of `--server` for a relay that is asked at its Unix socket. */
export const UNIX_SOCKET = 'unix:'

/** The path of `unix:<path>`; undefined for any other server. */
export function socketPathOf(server: string): string | undefined {
  return server.startsWith(UNIX_SOCKET) ? server.slice(UNIX_SOCKET.length) : undefined
}
