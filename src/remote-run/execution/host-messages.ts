import type { CommandEnd, OutputStream } from './command.js'

/** The messages from the relay to its command host. `id` is the relay's number for the command. */
export type HostOrder =
  | {
      readonly kind: 'start'
      readonly id: number
      readonly file: string
      readonly args: readonly string[]
      readonly timeoutMs: number
      readonly killGraceMs: number
      readonly wantsOutput: boolean
    }
  | { readonly kind: 'stop' | 'pause' | 'resume'; readonly id: number }

/** The messages from the command host to the relay. */
export type HostReport =
  | { readonly kind: 'started'; readonly id: number; readonly pid: number }
  | { readonly kind: 'output'; readonly id: number; readonly stream: OutputStream; readonly lines: string }
  | { readonly kind: 'ended'; readonly id: number; readonly end: CommandEnd }
