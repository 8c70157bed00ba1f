export const openaiBaseUrl = 'https://api.openai.com/v1'

/** OpenAI itself, rather than one of the many servers that speak its API. */
export const isOpenai = (baseUrl: string): boolean => new URL(baseUrl).host === new URL(openaiBaseUrl).host
