import { type Config, ConfigError } from '../../src/config/config.js'
import { parseConfig } from '../../src/config/config-parser.js'

export const ROOT = '[general]\nnode_id = "root"\n'
export const RELAY = '[general]\nnode_id = "relay-1"\n[output.upstream]\nhost = "rudder.example.com"\n'

export function noFile(path: string): string {
  throw new Error(`no such file: ${path}`)
}

/** @throws {ConfigError} */
export function parse(main: string, logging: string | undefined = ''): Config {
  return parseConfig(main, logging, '/etc/relay', noFile)
}

export function problemsOf(main: string, logging = ''): readonly string[] {
  try {
    parse(main, logging)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}
