output "url" {
  description = "The function's address: /tick, /status, /api, /dashboard."
  value       = local.url
}

output "function" {
  description = "The function's name and region, for gcloud."
  value       = "${google_cloudfunctions2_function.main.name} in ${var.region}"
}

output "store_url" {
  description = "STORE_URL for the command line on your own machine."
  value       = "firestore://${var.project_id}/${google_firestore_database.main.name}"
}

output "next" {
  description = "What to type next."
  value       = <<-TEXT
    gcloud scheduler jobs run ${google_cloud_scheduler_job.tick.name} --location ${var.region} --project ${var.project_id}
    gcloud functions logs read ${google_cloudfunctions2_function.main.name} --gen2 --region ${var.region} --project ${var.project_id} --limit 20
    STORE_URL=firestore://${var.project_id}/${google_firestore_database.main.name} scripts/scheduler apply samples/online.yaml
    gcloud secrets versions access latest --secret ${local.own_secrets["API_KEY"]} --project ${var.project_id}   # to sign in at ${local.url}/dashboard
  TEXT
}
