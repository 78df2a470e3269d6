// Asks Cronfire for a tick each time Vercel's cron calls. Vercel proves itself with CRON_SECRET, as we do there.
const WITHIN_MS = 55_000;

export async function GET(request) {
  const secret = process.env.CRON_SECRET;
  if (!secret || request.headers.get("authorization") !== `Bearer ${secret}`) {
    return Response.json({ error: "unauthorized" }, { status: 401 });
  }
  try {
    const answer = await fetch(new URL("/tick", process.env.CRONFIRE_URL), {
      method: "POST",
      headers: { authorization: `Bearer ${secret}` },
      redirect: "error", // nobody else gets the secret
      signal: AbortSignal.timeout(WITHIN_MS),
    });
    const report = await answer.text();
    console.log(answer.status, report);
    return new Response(report, { status: answer.ok ? 200 : 502 });
  } catch (fault) {
    console.error("no answer:", fault.name);
    return Response.json({ error: "no answer" }, { status: 504 });
  }
}
