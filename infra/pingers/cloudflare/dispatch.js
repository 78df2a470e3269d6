// Starts the GitHub workflow tick.yml each time Cloudflare's clock says so: GitHub's own schedule is often late.
const WITHIN_MS = 20_000;

export default {
  async scheduled(_controller, env, _context) {
    const api = env.GITHUB_API_URL ?? "https://api.github.com";
    const answer = await fetch(`${api}/repos/${env.GITHUB_REPOSITORY}/dispatches`, {
      method: "POST",
      headers: {
        accept: "application/vnd.github+json",
        authorization: `Bearer ${env.GITHUB_TOKEN}`,
        "content-type": "application/json",
        "user-agent": "cronfire-pinger", // GitHub refuses requests without one
      },
      body: JSON.stringify({ event_type: "cronfire-tick" }),
      redirect: "manual", // nobody else gets the token
      signal: AbortSignal.timeout(WITHIN_MS),
    });
    if (answer.status !== 204) {
      throw new Error(`GitHub answered ${answer.status}`);
    }
  },
};
