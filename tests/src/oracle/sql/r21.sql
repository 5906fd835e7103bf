--@ done AS SELECT * FROM l_inspections WHERE BY(inspected_on)
--@ county AS SELECT * FROM done WHERE inspection_kind = 'county'
--= 1 应自查数
SELECT ru, org, 1 AS v FROM org
--= 2 已自查数: different organisations, in the closing round, which stage 5 begins
SELECT DISTINCT ru, org, target_org, 1 AS v FROM done WHERE inspection_kind = 'self' AND inspected_on >= $Y || '-11-11' AND target_org <> ''
  AND target_org NOT IN (SELECT a.full_name FROM org_any a WHERE a.org NOT IN (SELECT org FROM org))
--= 3 完成率 = 2 / 1
--= 5 已验收数
SELECT ru, org, 1 AS v FROM county
--= 6 合格
SELECT ru, org, 1 AS v FROM county WHERE result = 'pass'
--= 7 基本合格
SELECT ru, org, 1 AS v FROM county WHERE result = 'basic'
--= 8 不合格
SELECT ru, org, 1 AS v FROM county WHERE result = 'fail'
--= 9 合格率 = 6 / 5
--= x1
SELECT ru, org, score_total + 0 AS v FROM county WHERE score_total <> ''
--= x2
SELECT ru, org, 1 AS v FROM county WHERE score_total <> ''
--= 10 平均得分 = x1 / x2
--= 11 问题数
SELECT ru, org, 1 AS v FROM l_inspection_issues
--= 12 已整改
SELECT ru, org, 1 AS v FROM l_inspection_issues WHERE status = 'resolved' AND BY(closed_on)
--= 13 整改率 = 12 / 11
--= 14 实践
SELECT ru, org, 1 AS v FROM l_outcomes WHERE outcome_kind = 'practice' AND BY(formed_on)
--= 15 制度
SELECT ru, org, 1 AS v FROM l_outcomes WHERE outcome_kind = 'institution' AND BY(formed_on)
--= 16 理论
SELECT ru, org, 1 AS v FROM l_outcomes WHERE outcome_kind = 'theory' AND BY(formed_on)
