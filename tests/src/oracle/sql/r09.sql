--= 1 应配书记数
SELECT ru, org, 1 AS v FROM org
--= 2 在任书记数
SELECT ru, org, 1 AS v FROM secretary
--= 3 空缺数 = 1 - 2
--= 4 女书记
SELECT ru, org, 1 AS v FROM secretary WHERE sex = '2'
--= 5 35岁及以下
SELECT ru, org, 1 AS v FROM secretary WHERE AGE(birth_date) <= 35
--= 6 36-45
SELECT ru, org, 1 AS v FROM secretary WHERE AGE(birth_date) BETWEEN 36 AND 45
--= 7 46-54
SELECT ru, org, 1 AS v FROM secretary WHERE AGE(birth_date) BETWEEN 46 AND 54
--= 8 55岁及以上
SELECT ru, org, 1 AS v FROM secretary WHERE AGE(birth_date) >= 55
--= 9 大专及以上学历
SELECT ru, org, 1 AS v FROM secretary WHERE education BETWEEN '10' AND '39'
--= 10 内部选举
SELECT ru, org, 1 AS v FROM secretary WHERE source = 'elected'
--= 11 组织选派
SELECT ru, org, 1 AS v FROM secretary WHERE source = 'dispatched'
--= 12 选拔任用
SELECT ru, org, 1 AS v FROM secretary WHERE source = 'selected'
--= 13 社会选聘
SELECT ru, org, 1 AS v FROM secretary WHERE source = 'recruited'
--= 14 上级兼任
SELECT ru, org, 1 AS v FROM secretary WHERE source = 'concurrent'
--= 15 大学生村官
SELECT ru, org, 1 AS v FROM secretary WHERE source = 'graduate'
--= 16 一肩挑
SELECT ru, org, 1 AS v FROM secretary WHERE is_dual_post = 'yes'
--= 17 签订责任书数
SELECT ru, org, 1 AS v FROM secretary WHERE UNTIL(duty_contract_on)
--= 18 胜任
SELECT ru, org, 1 AS v FROM secretary WHERE competence = 'competent'
--= 19 基本胜任
SELECT ru, org, 1 AS v FROM secretary WHERE competence = 'basic'
--= 20 不胜任: at any time in the year, whoever has gone since
SELECT ru, org, 1 AS v FROM l_secretaries WHERE year = $Y AND competence = 'incompetent' AND BY(took_office_on)
--= 21 已调整: of these
SELECT ru, org, 1 AS v FROM l_secretaries WHERE year = $Y AND competence = 'incompetent' AND BY(took_office_on)
  AND adjust_action = 'adjusted' AND BY(adjusted_on)
--= 22 调整率 = 21 / 20
--= 23 参训书记数: incumbents whom the attendance register says to have attended in the year
SELECT DISTINCT ru, org, name, 1 AS v FROM attended
--= 24 参训率 = 23 / 2
