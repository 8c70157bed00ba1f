/** Code points that HFS+ leaves out when it compares names. */
const ignoredByHfs = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g

/** A name that a case-insensitive, HFS+ or NTFS file system takes for `.git`. */
const isDotGit = (name: string): boolean => {
  const plain = name.replace(ignoredByHfs, '').toLowerCase()
  const onNtfs = plain.replace(/:.*$/s, '').replace(/[ .]+$/, '')
  return onNtfs === '.git' || plain === '.git' || onNtfs === 'git~1'
}

/** Why a path of a git tree must not be written to a work tree, or null. */
export function pathProblem(path: string): string | null {
  for (const name of path.split('/')) {
    if (name === '' || name === '.' || name === '..') return 'it leaves its folder'
    if (isDotGit(name) || name.split('\\').some(isDotGit)) return "it is read as git's own folder"
  }
  return path.includes('\0') ? 'it holds a NUL byte' : null
}
