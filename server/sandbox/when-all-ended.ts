/** Like Promise.all, but leaves nothing running when it rejects: what comes next is to clean up. */
export async function whenAllEnded<T extends readonly Promise<unknown>[]>(
  parts: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(parts)
  return Promise.all(parts)
}
