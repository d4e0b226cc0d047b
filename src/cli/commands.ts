import type { Command } from 'commander'

/** Adds one command, with its subcommands, to the program. */
export type Register = (program: Command) => void

export interface CommandEntry {
  readonly name: string
  readonly summary: string
  /** Loads the command's file: only that of the command that was asked for is ever loaded. */
  readonly load: () => Promise<{ readonly register: Register }>
}

/** The commands, in the order in which the help shows them. */
export const COMMANDS: readonly CommandEntry[] = [
  { name: 'serve', summary: 'run a relay', load: () => import('./processes/serve.js') },
  { name: 'agent', summary: 'run the agent of a node', load: () => import('./processes/agent.js') },
  { name: 'run', summary: 'run agents, and show their output', load: () => import('./commands/run.js') },
  { name: 'runs', summary: 'list, show, cancel and follow runs', load: () => import('./commands/runs.js') },
  {
    name: 'nodes',
    summary: 'list, show, route, import, move, remove and restore nodes',
    load: () => import('./commands/nodes/nodes.js')
  },
  { name: 'links', summary: 'list and close links', load: () => import('./commands/links.js') },
  {
    name: 'client',
    summary: 'register a URL behind this machine with a relay',
    load: () => import('./processes/client.js')
  },
  {
    name: 'services',
    summary: 'list, show, test and import services',
    load: () => import('./commands/services/services.js')
  },
  {
    name: 'kubeconfig',
    summary: 'write a kubeconfig that leads to a service',
    load: () => import('./commands/kubeconfig/kubeconfig.js')
  },
  {
    name: 'log',
    summary: 'show or change the log level of a running process',
    load: () => import('./commands/log.js')
  },
  {
    name: 'trace',
    summary: 'show the way to a node, hop by hop',
    load: () => import('./commands/trace.js')
  },
  { name: 'share', summary: 'sign a file, and share it with a node', load: () => import('./commands/share.js') },
  { name: 'fetch', summary: 'fetch a shared file, and verify it', load: () => import('./commands/fetch.js') },
  {
    name: 'outbox',
    summary: 'list, retry and drop files that wait for another relay',
    load: () => import('./commands/outbox.js')
  },
  { name: 'init', summary: 'create the root of a new tree', load: () => import('./commands/init.js') },
  {
    name: 'token',
    summary: 'tokens: to join with, and of clients and callers of services',
    load: () => import('./commands/token.js')
  },
  { name: 'join', summary: 'join a tree as a relay or a node', load: () => import('./commands/join.js') },
  {
    name: 'key',
    summary: 'generate keys for signatures and sealed files',
    load: () => import('./commands/key.js')
  },
  {
    name: 'method',
    summary: "run the agents' generic methods for shared files",
    load: () => import('./commands/method.js')
  }
]
