import type { Command } from 'commander'

/** Adds one command, with its subcommands, to the program. */
export type Register = (program: Command) => void

export interface CommandEntry {
  readonly name: string
  readonly summary: string
  /** Loads the command's file: only that of the command that was asked for is ever loaded. */
  readonly load: () => Promise<{ readonly register: Register }>
}

/** In the order in which the help shows them. */
export const COMMANDS: readonly CommandEntry[] = [
  { name: 'serve', summary: 'be a relay, until SIGTERM', load: () => import('./processes/serve-command.js') },
  { name: 'agent', summary: 'be the agent of a node, until SIGTERM', load: () => import('./processes/agent.js') },
  { name: 'run', summary: 'make agents run, and watch them', load: () => import('./commands/run.js') },
  { name: 'runs', summary: 'list, show, cancel and follow runs', load: () => import('./commands/runs.js') },
  {
    name: 'nodes',
    summary: 'list, show, route, import, move, remove and restore nodes',
    load: () => import('./commands/nodes.js')
  },
  { name: 'links', summary: 'list and close links', load: () => import('./commands/links.js') },
  { name: 'client', summary: 'register with a relay for a URL behind it', load: () => import('./processes/client.js') },
  {
    name: 'trace',
    summary: 'show the way to a node, and where it is broken',
    load: () => import('./commands/trace.js')
  },
  { name: 'share', summary: 'sign a file and share it with a node', load: () => import('./commands/share.js') },
  { name: 'fetch', summary: 'fetch a shared file, and verify it', load: () => import('./commands/fetch.js') },
  {
    name: 'outbox',
    summary: 'see to files that could not be handed on yet',
    load: () => import('./commands/outbox.js')
  },
  { name: 'init', summary: 'make the root of a new tree', load: () => import('./commands/init.js') },
  { name: 'token', summary: 'make, list and revoke tokens to join with', load: () => import('./commands/token.js') },
  { name: 'join', summary: 'join a tree, as a relay or a node', load: () => import('./commands/join.js') },
  {
    name: 'key',
    summary: 'make keys that sign, and keys that files are sealed for',
    load: () => import('./commands/key.js')
  },
  {
    name: 'method',
    summary: "agents' generic methods: kept, repaired or error",
    load: () => import('./commands/method.js')
  }
]
