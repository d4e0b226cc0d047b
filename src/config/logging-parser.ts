import { LOG_LEVELS } from '../values/logging/logger.js'
import type { Config } from './config.js'
import type { Section } from './readers/section.js'
import { oneOf, plainText } from './readers/value-readers.js'

type Level = Config['logging']['level']

/** The names that existing relays use for some levels, in present and older files. */
const LEVEL_ALIASES: ReadonlyMap<string, Level> = new Map([
  ['critical', 'fatal'],
  ['warning', 'warn']
])

/** Names under which a filter may mean the whole program. */
const PROGRAM_NAMES: readonly string[] = ['relayd', 'rudder_relayd', 'treeline']

const readLevel = oneOf(...LOG_LEVELS, ...LEVEL_ALIASES.keys(), 'off')

/**
 * Reads `logging.conf`. An existing relay joins level and filter to directives separated by commas, `level` or
 * `part=level`: those for the whole program are followed here, the others noticed.
 */
export function parseLogging(file: Section): Config['logging'] {
  const general = file.section('general')
  const written = general.read('level', readLevel, 'info')
  let level = toLevel(written) ?? 'info'
  if (written === 'off') {
    level = 'fatal'
    general.notice('warning', 'level', '"off" counts as "fatal": what ends the relay is still logged')
  }
  if (general.raw('filter') === '') return { level }
  const filter = general.optional('filter', plainText)
  for (const directive of filter === undefined ? [] : splitDirectives(filter)) {
    const wanted = levelForProgram(directive)
    if (wanted !== undefined) level = wanted
    else general.notice('warning', 'filter', notFollowed(directive))
  }
  return { level }
}

function notFollowed(directive: string): string {
  const shown = JSON.stringify(directive.slice(0, 80))
  return `${shown} is not followed: Treeline has one level for all its parts, general.level`
}

function levelForProgram(directive: string): Level | undefined {
  const [name = '', wanted, ...more] = directive.split('=')
  if (more.length > 0) return undefined
  if (wanted === undefined) return toLevel(name)
  return PROGRAM_NAMES.includes(name.trim()) ? toLevel(wanted) : undefined
}

function toLevel(text: string): Level | undefined {
  const word = text.trim().toLowerCase()
  return LOG_LEVELS.find(level => level === word) ?? LEVEL_ALIASES.get(word)
}

/** Splits at commas, but not within `[span{field=value,…}]`. */
function splitDirectives(filter: string): string[] {
  const directives: string[] = []
  let depth = 0
  let current = ''
  for (const character of filter) {
    if (character === '[' || character === '{') depth++
    if (character === ']' || character === '}') depth--
    if (character === ',' && depth <= 0) {
      directives.push(current.trim())
      current = ''
    } else current += character
  }
  directives.push(current.trim())
  return directives.filter(directive => directive !== '')
}
