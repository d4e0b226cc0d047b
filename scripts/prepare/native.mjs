/** The package with SQLite that this Node can run; src/storage/sqlite-engine/sqlite-driver.ts says why there are two. */
export const NATIVE = Number(process.versions.node.split('.')[0]) >= 22 ? 'better-sqlite3' : 'better-sqlite3-node20'

/** Whether it is compiled on this machine; version 13 brings binaries for Linux, macOS and Windows on x64 and arm64. */
export const IS_COMPILED = NATIVE === 'better-sqlite3-node20'
