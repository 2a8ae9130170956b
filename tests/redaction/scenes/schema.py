"""One scene for each of many attributes that a provider's own schema calls sensitive."""

from collections.abc import Callable
from typing import Any, Final

from tests.redaction.planting import Scene

_PATHS: Final = """
alicloud_event_bridge_connection auth_parameters[].api_key_auth_parameters[].api_key_value
alicloud_esa_record auth_conf[].access_key
alicloud_dms_enterprise_proxy password
alicloud_cr_ee_instance password
auth0_client addons[].wams[].master_key
auth0_guardian duo[].secret_key
auth0_action secrets[].value
auth0_attack_protection captcha[].recaptcha_enterprise[].api_key
aws_cognito_managed_user_pool_client client_secret
aws_timestreaminfluxdb_db_cluster password
aws_dms_endpoint kafka_settings[].ssl_client_key_password
aws_iam_server_certificate private_key
aws_codepipeline_webhook authentication_configuration[].secret_token
aws_pinpoint_apns_voip_sandbox_channel token_key
aws_lightsail_key_pair private_key
aws_kms_secrets plaintext
aws_connect_user password
aws_fsx_ontap_file_system fsx_admin_password
aws_ecr_authorization_token password
aws_alb_listener default_action[].authenticate_oidc[].client_secret
aws_lb_listener_rule action[].authenticate_oidc[].client_secret
aws_directory_service_directory password
aws_rds_cluster master_password
aws_sns_platform_application platform_credential
aws_s3_object_copy source_customer_key
aws_fsx_windows_file_system self_managed_active_directory[].password
azuread_user password
azuread_application_certificate value
azuread_service_principal_token_signing_certificate value
azuread_service_principal_password value
azurerm_cosmosdb_account secondary_key
azurerm_relay_namespace secondary_key
azurerm_data_factory_linked_service_azure_file_storage connection_string
azurerm_data_factory_linked_service_sftp private_key_passphrase
azurerm_container_registry_task source_trigger[].authentication[].refresh_token
azurerm_stream_analytics_output_servicebus_topic shared_access_policy_key
azurerm_function_app_flex_consumption site_config[].application_insights_connection_string
azurerm_linux_web_app_slot storage_account[].access_key
azurerm_windows_web_app site_credential
azurerm_mysql_server threat_detection_policy[].storage_account_access_key
azurerm_kubernetes_automatic_cluster kube_config[].client_key
azurerm_eventhub_namespace_authorization_rule primary_key
azurerm_function_app auth_settings[].microsoft[].client_secret
azurerm_hdinsight_hbase_cluster roles[].zookeeper_node[].password
azurerm_mssql_server_vulnerability_assessment storage_container_sas_key
azurerm_kubernetes_cluster kube_admin_config[].password
azurerm_function_app_slot auth_settings[].active_directory[].client_secret
azurerm_hdinsight_rserver_cluster roles[].zookeeper_node[].password
azurerm_redhat_openshift_cluster cluster_profile[].pull_secret
azurerm_windows_web_app_slot auth_settings[].google[].client_secret
azurerm_virtual_machine_scale_set os_profile[].admin_password
azurerm_hdinsight_storm_cluster metastores[].hive[].password
azurerm_stream_analytics_output_mssql password
azurerm_servicebus_namespace_disaster_recovery_config default_primary_key
azurerm_windows_function_app auth_settings[].github[].client_secret
azurerm_kubernetes_flux_configuration blob_storage[].service_principal[].client_secret
cloudflare_pages_project deployment_configs.preview.env_vars{}.value
cloudflare_zero_trust_access_identity_provider config.client_secret
cloudflare_zero_trust_device_posture_integration config.client_secret
cloudflare_custom_hostname ssl.custom_key
datadog_application_key key
datadog_action_connection anthropic.api_key.api_token
datadog_webhook_oauth2_client_credentials client_secret
datadog_integration_opsgenie_service_object opsgenie_api_key
digitalocean_app spec[].service[].log_destination[].open_search[].basic_auth[].password
digitalocean_database_metrics_credentials password
digitalocean_certificate private_key
digitalocean_database_replica password
fastly_service_vcl logging_cloudfiles[].access_key
fastly_service_compute logging_datadog[].token
fastly_tsig_key secret
fastly_ngwaf_alert_datadog_integration key
github_repository_webhook configuration[].secret
github_codespaces_secret encrypted_value
github_codespaces_user_secret plaintext_value
github_codespaces_organization_secret plaintext_value
gitlab_group_service_account_access_token token
gitlab_application_settings static_objects_external_storage_auth_token
gitlab_project_hook url_variables[].value
gitlab_group_cluster kubernetes_token
google_apigee_developer_app credentials[].consumer_secret
google_sql_database_instance replica_configuration[].password
google_identity_platform_config client[].api_key
google_datastream_connection_profile forward_ssh_connectivity[].private_key
google_compute_ssl_certificate private_key
google_netapp_active_directory password
google_compute_image image_encryption_key[].raw_key
google_backup_dr_restore_workload disk_restore_properties[].disk_encryption_key[].raw_key
google_compute_region_disk source_image_encryption_key[].rsa_encrypted_key
google_database_migration_service_connection_profile mysql[].password
google_monitoring_notification_channel sensitive_labels[].password
google_service_account_id_token id_token
google_iam_oauth_client_credential client_secret
google_public_ca_external_account_key mac_key
google_apigee_keystores_aliases_key_cert_file key
grafana_synthetic_monitoring_check settings[].http[].basic_auth[].password
grafana_contact_point opsgenie[].api_key
grafana_k6_installation grafana_sa_token
grafana_oncall_outgoing_webhook password
helm_template repository_password
helm_release repository_password
keycloak_oidc_google_identity_provider client_secret
keycloak_realm smtp_server[].token_auth[].client_secret
keycloak_oidc_github_identity_provider client_secret
keycloak_openid_client client_secret
kubernetes_token_request_v1 token
linode_consumer_image_share_group_token token
linode_object_storage_bucket secret_key
linode_database_mysql_v2 root_password
linode_token token
mongodbatlas_encryption_at_rest azure_key_vault_config.secret
mongodbatlas_ai_model_api_key secret
mongodbatlas_organization service_account[].secrets[].secret
mongodbatlas_log_integrations results[].api_key
newrelic_synthetics_step_monitor location_private[].vse_password
newrelic_alert_channel config[].key
newrelic_notification_destination auth_custom_header[].value
newrelic_synthetics_secure_credential value
okta_app_connection profile.token
okta_user old_password
okta_authenticator provider_shared_secret
okta_idp_social client_secret
openstack_sharedfilesystem_share_access_v2 access_key
openstack_networking_bgp_peer_v2 password
openstack_identity_application_credential_v3 secret
openstack_db_instance_v1 user[].password
pagerduty_extension_servicenow snow_password
pagerduty_automation_actions_runner runbook_api_key
pagerduty_service_integration integration_key
rancher2_oidc_client client_secret
rancher2_machine_config_v2 azure_config[].client_secret
rancher2_user password
rancher2_auth_config_githubapp client_secret
scaleway_apple_silicon_runner token
scaleway_mnq_sns_credentials secret_key
scaleway_mnq_sqs_queue access_key
scaleway_inference_model secret
snowflake_account admin_password
snowflake_stage_external_azure credentials[].azure_sas_token
snowflake_catalog_integration_open_catalog rest_authentication[].oauth_client_secret
snowflake_secret_with_authorization_code_grant oauth_refresh_token
tfe_team_token token
tfe_variable value
tfe_policy_set_parameter value
tfe_oauth_client secret
vault_ad_access_credentials last_password
vault_approle_auth_backend_role_secret_id wrapping_token
vault_pki_secret_backend_acme_eab key
vault_database_secrets_mount mysql_legacy[].password
vault_database_secret_backend_connection postgresql[].password
vault_nomad_secret_backend token
vault_identity_oidc_client client_secret
vault_ldap_secret_backend client_tls_key
vault_approle_auth_backend_login client_token
vault_identity_oidc_client_creds client_secret
"""
"""A type and the path of its secret; a step with `[]` is a list of blocks, with `{}` a map."""


def _scene(type_: str, path: str) -> Callable[[Scene], None]:
    """Make the scene of one attribute: it changes beside another, and is marked or not."""
    mark = path.replace("[]", "[0]").replace("{}", ".main")

    def scene(s: Scene) -> None:
        secret = s.pair("schema", s.rng.choice(("words", "plain", "password", "uuid")), "table")
        s.add(
            type_,
            lambda v: {"id": s.id(digits=12), "name": f"n{v}", **_nested(path, secret[v])},
            marks=(mark,),
        )

    scene.__name__ = type_
    return scene


def _nested(path: str, value: str) -> dict[str, Any]:
    """An object with a value at a path."""
    step, _, rest = path.partition(".")
    inner: Any = _nested(rest, value) if rest else value
    if step.endswith("[]"):
        return {step[:-2]: [inner]}
    if step.endswith("{}"):
        return {step[:-2]: {"main": inner}}
    return {step: inner}


SCENES: Final = tuple(_scene(*line.split()) for line in _PATHS.split("\n") if line)
