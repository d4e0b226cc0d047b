import type { ClockReading, ClockReadings } from '../../process/believed-clock.js'
import type { Database } from '../sqlite-engine/database.js'
import { groupCommitOf } from '../sqlite-engine/group-commit.js'

/** @param reader each has a reading of its own */
export function createClockReadings(db: Database, reader: 'members' | 'runs'): ClockReadings {
  const commit = groupCommitOf(db)
  const find = db.prepare<[string], ClockReading>(
    'SELECT at AS atMs, certain AS certainMs, uptime AS uptimeMs, owed AS owedMs FROM clock_readings WHERE reader = ?'
  )
  const note = db.prepare<[string, number, number, number, number]>(
    'INSERT OR REPLACE INTO clock_readings (reader, at, certain, uptime, owed) VALUES (?, ?, ?, ?, ?)'
  )
  return {
    clockReading: async () => find.get(reader),
    noteClock: ({ atMs, certainMs, uptimeMs, owedMs }) =>
      commit(() => void note.run(reader, atMs, certainMs, uptimeMs, owedMs))
  }
}
