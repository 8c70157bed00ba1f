export const demoId = 'demo/scripted'
