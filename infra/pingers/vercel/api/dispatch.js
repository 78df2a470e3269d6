// Starts the GitHub workflow tick.yml each time Vercel's cron calls: GitHub's own schedule is often late.
const WITHIN_MS = 20_000;

export async function GET(request) {
  const { GITHUB_TOKEN: token, GITHUB_REPOSITORY: repository } = process.env;
  const secret = process.env.CRON_SECRET?.trim(); // as the header that Vercel sends
  if (!secret || request.headers.get("authorization") !== `Bearer ${secret}`) {
    return Response.json({ error: "unauthorized" }, { status: 401 });
  }
  const api = process.env.GITHUB_API_URL ?? "https://api.github.com";
  try {
    const answer = await fetch(`${api}/repos/${repository}/dispatches`, {
      method: "POST",
      headers: {
        accept: "application/vnd.github+json",
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "user-agent": "cronfire-pinger", // GitHub refuses requests without one
      },
      body: JSON.stringify({ event_type: "cronfire-tick" }),
      redirect: "manual", // nobody else gets the token
      signal: AbortSignal.timeout(WITHIN_MS),
    });
    return Response.json({ github: answer.status }, { status: answer.status === 204 ? 200 : 502 });
  } catch (fault) {
    console.error("no answer:", fault.cause?.code ?? fault.name);
    return Response.json({ error: "no answer" }, { status: 504 });
  }
}
