import type { RunningTimeReading, RunningTimeReadings } from '../../process/running-time.js'
import type { Database } from '../sqlite-engine/database.js'
import { groupCommitOf } from '../sqlite-engine/group-commit.js'

/** @param reader each has a reading of its own */
export function createRunningTimeReadings(db: Database, reader: 'members' | 'runs'): RunningTimeReadings {
  const commit = groupCommitOf(db)
  const find = db.prepare<[string], RunningTimeReading>(
    'SELECT ran AS ranMs, boot, uptime AS uptimeMs FROM running_time WHERE reader = ?'
  )
  const note = db.prepare<[string, number, string, number]>(
    'INSERT OR REPLACE INTO running_time (reader, ran, boot, uptime) VALUES (?, ?, ?, ?)'
  )
  return {
    runningTime: async () => find.get(reader),
    noteRunningTime: ({ ranMs, boot, uptimeMs }) => commit(() => void note.run(reader, ranMs, boot, uptimeMs))
  }
}
